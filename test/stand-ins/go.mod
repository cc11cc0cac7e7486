module stand-ins

go 1.24.0

require (
	github.com/coder/websocket v1.8.15
	go.yaml.in/yaml/v3 v3.0.6
	golang.org/x/crypto v0.48.0
)
