# An image of a static binary that "make build" has made: of breakwater, or of whoami with --build-arg BINARY=whoami.
FROM scratch
ARG BINARY=breakwater
COPY bin/${BINARY} /program
USER 65532:65532
ENTRYPOINT ["/program"]
