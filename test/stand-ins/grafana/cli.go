package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// cli does what `grafana cli [--homepath H] [--config C] admin reset-admin-password` does to the database. Like the real
// one it knows nothing of GF_*__FILE, which the image's start script resolves.
func cli(arguments []string, in io.Reader, out io.Writer, environment []string) error {
	global := flag.NewFlagSet("grafana cli", flag.ContinueOnError)
	homepath := global.String("homepath", ".", "path to Grafana's installation")
	global.String("config", "", "path to the configuration file")
	if err := global.Parse(arguments); err != nil {
		return err
	}
	arguments = global.Args()
	if len(arguments) < 2 || arguments[0] != "admin" || arguments[1] != "reset-admin-password" {
		return fmt.Errorf("no such command: %s", strings.Join(arguments, " "))
	}
	reset := flag.NewFlagSet("reset-admin-password", flag.ContinueOnError)
	fromStdin := reset.Bool("password-from-stdin", false, "read the password from stdin")
	if err := reset.Parse(arguments[2:]); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(*homepath, "bin", "grafana")); err != nil {
		return errors.New("could not find config defaults, make sure homepath command line parameter is set or working directory is homepath")
	}
	password := reset.Arg(0)
	if *fromStdin {
		fmt.Fprint(out, "New Password: ")
		lines := bufio.NewScanner(in)
		if !lines.Scan() {
			return errors.New("can't read password from stdin")
		}
		password = lines.Text()
	}
	if len(password) <= 4 {
		return errors.New("new password is too short")
	}
	var plain []string
	for _, entry := range environment {
		if name, _, _ := strings.Cut(entry, "="); !strings.HasSuffix(name, "__FILE") {
			plain = append(plain, entry)
		}
	}
	s, err := settingsFromEnvironment(plain)
	if err != nil {
		return err
	}
	u, err := openUsers(s)
	if err != nil {
		return err
	}
	if err := u.setPassword(password); err != nil {
		return fmt.Errorf("failed to update user password: %w", err)
	}
	fmt.Fprintln(out, "\nAdmin password changed successfully ✔")
	return nil
}
