// Command pingoo stands in for Pingoo 0.14.7 where its image cannot be had: same configuration, same files, same TLS,
// same routing and the same unpleasant parts, as far as a deployment or its tests can see them. What it does not
// know (static sites, captchas, GeoIP, label discovery) it refuses or leaves out.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// A failure ends the process with exit code 1, printed the way Pingoo prints it.
type failure struct{ kind, text string }

func (f failure) Error() string { return f.text }

func configError(format string, args ...any) error {
	return failure{"Config", fmt.Sprintf(format, args...)}
}

func tlsError(format string, args ...any) error {
	return failure{"Tls", fmt.Sprintf(format, args...)}
}

func otherError(format string, args ...any) error {
	return failure{"Unspecified", fmt.Sprintf(format, args...)}
}

// A crash is what Pingoo does on configurations that it accepts but cannot run: exit code 101.
type crash string

func (c crash) Error() string { return string(c) }

func main() {
	etc := flag.String("etc", "/etc/pingoo", "folder of pingoo.yml and tls/")
	flag.Parse()

	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: pingooLogNames})))
	if os.Getpid() == 1 {
		// The kernel does not end a container's first process by a signal that has no handler; Go's runtime would.
		signal.Ignore(syscall.SIGHUP)
	}

	err := serve(*etc)
	var crashed crash
	var failed failure
	switch {
	case err == nil:
	case errors.As(err, &crashed):
		fmt.Fprintf(os.Stderr, "\nthread 'main' panicked at %s\n", string(crashed))
		os.Exit(101)
	case errors.As(err, &failed):
		fmt.Fprintf(os.Stderr, "Error: %s(%q)\n", failed.kind, failed.text)
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

func pingooLogNames(groups []string, attr slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case attr.Key == slog.TimeKey:
		attr.Key = "timestamp"
	case attr.Key == slog.MessageKey:
		attr.Key = "message"
	}
	return attr
}

// serve runs until SIGTERM or SIGINT, or for no time at all when there is no listener.
func serve(etc string) error {
	configFile := filepath.Join(etc, "pingoo.yml")
	cfg, err := loadConfig(configFile)
	if err != nil {
		return err
	}
	slog.Info("configuration successfully loaded from "+configFile, "services", len(cfg.services), "listeners", len(cfg.listeners))

	shutdown, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(shutdown, func() {
		slog.Info("Shutdown signal received. Shutting down listeners.", "timeout", gracePeriod.String())
	})

	registry := newRegistry(cfg.services)
	go registry.run()

	if err := ensureCaptchaKeys(filepath.Join(etc, "captcha_jwks.json")); err != nil {
		return err
	}

	// The ACME directory is asked before any listener opens: without it there is no service at all.
	certificates, err := newCertificates(filepath.Join(etc, "tls"), cfg.acme)
	if err != nil {
		return err
	}
	certificates.orderInBackground()

	var running sync.WaitGroup
	for _, lc := range cfg.listeners {
		l, err := newListener(lc, cfg, registry, certificates)
		if err != nil {
			return err
		}
		slog.Info(fmt.Sprintf("Starting listener %s on %s://%s", lc.name, lc.protocol, lc.address), "listener", lc.name)
		if err := l.bind(); err != nil {
			return err
		}
		running.Add(1)
		go func() {
			defer running.Done()
			l.run(shutdown)
		}()
	}
	running.Wait()
	return nil
}

// ensureCaptchaKeys makes Pingoo's first start need a writable configuration folder, captchas or not.
func ensureCaptchaKeys(file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		content, err = newCaptchaKeys()
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o666); err != nil {
			return configError("error writing JWKS file %s: %s", file, osError(err))
		}
		return nil
	}
	if err != nil {
		return configError("error reading captcha JWKS file: %s", osError(err))
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(content, &set); err != nil {
		return configError("error parsing captcha JWKS file: %v", err)
	}
	if len(set.Keys) == 0 {
		return configError("captcha JWKS file is empty")
	}
	return nil
}

// osError words an error of the operating system like Rust's standard library.
func osError(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	return fmt.Sprintf("%s (os error %d)", capitalized(errno.Error()), int(errno))
}

func capitalized(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
