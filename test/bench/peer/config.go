package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// The limits below are far above what the bench reaches: no connection may be closed, and no idle connection thrown away,
// in the middle of a round.
const (
	nginxText = `{{if .Root}}user root;
{{end}}daemon off;
worker_processes {{.Workers}};
worker_rlimit_nofile {{.Files}};
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections {{.Connections}}; }
http {
  access_log off;
  client_body_temp_path {{.Dir}}/client;
  proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi;
  scgi_temp_path {{.Dir}}/scgi;
  proxy_max_temp_file_size 0;
  tcp_nodelay on;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
{{if .Many}}  server_names_hash_max_size 1048576;
  server_names_hash_bucket_size 128;
{{end}}  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Request-Id $request_id;
{{- range .Backends}}
  upstream {{.Name}} {
    server {{$.Backend}};
    keepalive {{.KeepAlive}};
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
  }
{{- end}}
{{- range $i, $server := .Servers}}
  server {
    listen {{$.Listen}}{{if eq $i 0}} backlog=8192{{end}};
{{- with .Host}}
    server_name {{.}};
{{- end}}
    location {{.Path}} { proxy_pass http://{{.Backend}}; }
  }
{{- end}}
}
`
	haproxyText = `global
  nbthread {{.Workers}}
  maxconn {{.Connections}}
defaults
  mode http
  backlog 8192
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option forwardfor
frontend bench
  bind {{.Listen}}
  unique-id-format %{+X}o%ci:%cp_%Ts_%rt_%pid
  unique-id-header X-Request-Id
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend bench
backend bench
  http-reuse always
  server one {{.Backend}}
`
)

// nginxConfig is what nginx serves.
type nginxConfig struct {
	Many     bool
	Backends []nginxBackend
	Servers  []nginxServer
}

type nginxBackend struct {
	Name      string
	KeepAlive int // idle connections of each worker
}

type nginxServer struct{ Host, Path, Backend string }

func prepareNginx(s Site) (Command, error) {
	return startNginx(s, nginxConfig{Backends: []nginxBackend{{"backend", 1024}}, Servers: []nginxServer{{"", "/", "backend"}}})
}

func prepareNginxMany(s Site, hosts Hosts) (Command, error) {
	config := nginxConfig{Many: true}
	for i, host := range hosts.Names {
		name := fmt.Sprintf("s%d", i/hosts.PerBackend)
		if i%hosts.PerBackend == 0 {
			// Each of them holds memory from the start; the load has 64 connections.
			config.Backends = append(config.Backends, nginxBackend{name, 64})
		}
		config.Servers = append(config.Servers, nginxServer{host, hosts.Path, name})
	}
	return startNginx(s, config)
}

func startNginx(s Site, config nginxConfig) (Command, error) {
	path, err := render(s, "nginx.conf", nginxText, config)
	if err != nil {
		return Command{}, err
	}
	program, err := lookPath("nginx")
	return Command{Args: []string{program, "-e", "stderr", "-p", s.Dir, "-c", path}}, err
}

func prepareHAProxy(s Site) (Command, error) {
	path, err := render(s, "haproxy.cfg", haproxyText, nginxConfig{})
	if err != nil {
		return Command{}, err
	}
	program, err := lookPath("haproxy")
	return Command{Args: []string{program, "-db", "-f", path}}, err
}

// render fills a configuration text and writes it into the site's folder.
func render(s Site, name, text string, nginx nginxConfig) (string, error) {
	parsed, err := template.New(name).Parse(text)
	if err != nil {
		return "", err
	}
	values := struct {
		Site
		nginxConfig
		Workers     int
		Connections uint64 // each needs a descriptor on either side
		Root        bool
	}{s, nginx, Workers, min(16384, (s.Files-256)/2), os.Geteuid() == 0}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	path := filepath.Join(s.Dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o600)
}

type object = map[string]any

func prepareCaddy(bin string, s Site) (Command, error) {
	proxy := object{
		"handler":   "reverse_proxy",
		"upstreams": []object{{"dial": s.Backend}},
		"transport": object{
			"protocol": "http", "compression": false,
			"keep_alive": object{"enabled": true, "idle_timeout": "1h", "max_idle_conns_per_host": 4096},
		},
		"headers": object{"request": object{"set": object{
			"X-Real-IP":    []string{"{http.request.remote.host}"},
			"X-Request-Id": []string{"{http.request.uuid}"},
		}}},
	}
	server := object{
		"listen": []string{s.Listen}, "protocols": []string{"h1"}, "idle_timeout": "1h",
		"automatic_https": object{"disable": true},
		"routes":          []object{{"handle": []object{proxy}}},
	}
	config := object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps":    object{"http": object{"servers": object{"bench": server}}},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return Command{}, err
	}
	path := filepath.Join(s.Dir, "caddy.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return Command{}, err
	}
	env := append(goEnv(), "HOME="+s.Dir, "XDG_DATA_HOME="+s.Dir, "XDG_CONFIG_HOME="+s.Dir)
	return Command{Args: []string{bin + "/caddy", "run", "--config", path}, Env: env}, nil
}

// Breakwater is a peer started from a command line (split at spaces) that the arguments of `serve` are added to.
func Breakwater(name, commandLine string) Peer {
	return Peer{Name: name, Note: commandLine, GC: true, CommandLine: commandLine, Prepare: servesRequests(commandLine, "")}
}

// servesRequests prepares a Breakwater for the common job, with a NetworkChaos or an empty text.
func servesRequests(commandLine, chaos string) func(Site) (Command, error) {
	return manifested(func(s Site) (string, error) { return oneRoute(s.Backend) }, chaos, func(dir string, s Site) (Command, error) {
		return Serve(commandLine, dir, s)
	})
}

// manifested prepares a Breakwater that serves a manifest, with more text after it, from a folder of its own.
func manifested(manifest func(Site) (string, error), more string, serve func(dir string, s Site) (Command, error)) func(Site) (Command, error) {
	return func(s Site) (Command, error) {
		text, err := manifest(s)
		if err != nil {
			return Command{}, err
		}
		dir := filepath.Join(s.Dir, "manifests")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Command{}, err
		}
		if err := os.WriteFile(filepath.Join(dir, "bench.yaml"), []byte(text+more), 0o644); err != nil {
			return Command{}, err
		}
		return serve(dir, s)
	}
}

// Serve is the command that serves the manifests of dir on the site's addresses.
func Serve(commandLine, dir string, s Site) (Command, error) {
	return serve(commandLine, s, "--manifests", dir)
}

// ServeCluster is the command that serves the objects of a cluster on the site's addresses. It writes statuses, and elects
// who does so by a Lease that only it uses, so that it need not wait for one that an earlier process held.
func ServeCluster(commandLine, kubeconfig, lease string, s Site) (Command, error) {
	return serve(commandLine, s, "--kubeconfig", kubeconfig, "--lease", lease, "--address", "203.0.113.10",
		"--drain-delay", "0s", "--grace-period", "1s")
}

// serve is the command that serves on the site's addresses what more arguments name.
func serve(commandLine string, s Site, more ...string) (Command, error) {
	_, port, ok := strings.Cut(s.Listen, ":")
	if !ok {
		return Command{}, fmt.Errorf("no port to serve on: %q", s.Listen)
	}
	return serveAt(commandLine, port, s, more...)
}

// serveAt is serve with the port for Ingresses.
func serveAt(commandLine, port string, s Site, more ...string) (Command, error) {
	args := strings.Fields(commandLine)
	if len(args) == 0 {
		return Command{}, errors.New("no command to serve with")
	}
	args = append(append(args, "serve"), more...)
	return Command{Args: append(args, "--ingress-http-port", port, "--admin-address", s.Admin), Env: goEnv()}, nil
}
