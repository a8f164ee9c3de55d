package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
)

// descriptor refers to a blob (OCI image specification, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// imageArchive returns an OCI image layout as a tar archive (OCI image specification, image-layout.md) of an image that holds one
// static binary, which is run as a user without rights.
func imageArchive(name, binary string) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	layer, err := archive([]entry{{"program", program, 0o755}})
	if err != nil {
		return nil, err
	}
	blobs := []entry{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644}}
	blob := func(kind string, data []byte) descriptor {
		sum := sha256.Sum256(data)
		blobs = append(blobs, entry{"blobs/sha256/" + hex.EncodeToString(sum[:]), data, 0o644})
		return descriptor{
			MediaType: "application/vnd.oci.image." + kind, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: len(data),
		}
	}
	type object map[string]any
	contents := blob("layer.v1.tar", layer)
	config, err1 := json.Marshal(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{"Entrypoint": []string{"/program"}, "User": "65532:65532"},
		"rootfs": object{"type": "layers", "diff_ids": []string{contents.Digest}},
	})
	manifest, err2 := json.Marshal(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": blob("config.v1+json", config), "layers": []descriptor{contents},
	})
	whole := blob("manifest.v1+json", manifest)
	whole.Annotations = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
	index, err3 := json.Marshal(object{"schemaVersion": 2, "manifests": []descriptor{whole}})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return archive(append(blobs, entry{"index.json", index, 0o644}))
}

// entry is a file in an archive.
type entry struct {
	name string
	data []byte
	mode int64
}

func archive(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: e.mode}); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
