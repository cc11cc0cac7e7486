// Command grafana stands in for Grafana 13 where its image cannot be had: its settings by environment, its login, the
// reset of its administrator's password, its provisioning files, its data source proxy and its WebSocket, as far as a deployment or its tests can see them. It
// draws nothing. Users are kept in grafana.db by the sqlite3 command, so that a backup of it is a real one.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	version = "13.0.1"
	commit  = "0000000000000000000000000000000000000000"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "cli" {
		if err := cli(os.Args[2:], os.Stdin, os.Stdout, os.Environ()); err != nil {
			fmt.Fprintf(os.Stderr, "\nError: ✗ %s\n", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx); err != nil {
		slog.Error("Stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	settings, err := settingsFromEnvironment(os.Environ())
	if err != nil {
		return err
	}
	slog.Info("Starting Grafana", "version", version, "commit", commit)

	users, err := openUsers(settings)
	if err != nil {
		return err
	}
	provisioned, err := readProvisioning(settings.provisioning)
	if err != nil {
		return err
	}

	server := &http.Server{Addr: ":" + settings.port, Handler: newHandler(settings, users, provisioned)}
	stopped := context.AfterFunc(ctx, func() {
		timed, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(timed)
	})
	defer stopped()
	slog.Info("HTTP Server Listen", "address", server.Addr, "protocol", "http", "subUrl", "")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("failed to open listener on address %s: %w", server.Addr, err)
	}
	return nil
}
