package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// users is the administrator's account and the open sessions. Both outlive a restart, and the password of the first
// start outlives every later change of the environment.
type users struct {
	database string

	mu       sync.Mutex
	login    string
	password string // derived, in hexadecimal
	salt     string
	sessions map[string]bool // by hash of the token
}

func openUsers(s settings) (*users, error) {
	u := &users{database: filepath.Join(s.data, "grafana.db"), sessions: map[string]bool{}}
	_, err := u.query(`
		CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, login TEXT UNIQUE NOT NULL, email TEXT, password TEXT, salt TEXT, is_admin INTEGER);
		CREATE TABLE IF NOT EXISTS user_auth_token (auth_token TEXT PRIMARY KEY);`)
	if err != nil {
		return nil, fmt.Errorf("GF_PATHS_DATA='%s': %w", s.data, err)
	}
	rows, err := u.query("SELECT login, password, salt FROM user WHERE id = 1")
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		u.login = s.adminUser
		u.salt = rand.Text()
		if u.password, err = derive(s.adminPassword, u.salt); err != nil {
			return nil, err
		}
		_, err = u.query("INSERT INTO user VALUES (1, %s, %s, %s, %s, 1)", u.login, u.login+"@localhost", u.password, u.salt)
		return u, err
	}
	u.login, u.password, u.salt = rows[0][0], rows[0][1], rows[0][2]

	tokens, err := u.query("SELECT auth_token FROM user_auth_token")
	for _, token := range tokens {
		u.sessions[token[0]] = true
	}
	return u, err
}

func (u *users) authenticate(login, password string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	derived, err := derive(password, u.salt)
	return err == nil && login == u.login && subtle.ConstantTimeCompare([]byte(derived), []byte(u.password)) == 1
}

func (u *users) setPassword(password string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	derived, err := derive(password, u.salt)
	if err != nil {
		return err
	}
	if _, err := u.query("UPDATE user SET password = %s WHERE id = 1", derived); err != nil {
		return err
	}
	u.password = derived
	return nil
}

func (u *users) openSession() (token string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	token = strings.ToLower(rand.Text())
	if _, err := u.query("INSERT INTO user_auth_token VALUES (%s)", hashed(token)); err != nil {
		return "", err
	}
	u.sessions[hashed(token)] = true
	return token, nil
}

func (u *users) hasSession(token string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sessions[hashed(token)]
}

// derive is Grafana's own: a password that one of them stored, the other would accept.
func derive(password, salt string) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), 10_000, 50)
	return hex.EncodeToString(key), err
}

func hashed(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// query runs SQL whose %s are put in as quoted text, and returns the rows' columns as text.
func (u *users) query(sql string, values ...string) ([][]string, error) {
	quoted := make([]any, len(values))
	for i, value := range values {
		quoted[i] = "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	command := exec.Command("sqlite3", "-batch", "-bail", "-ascii", "-cmd", ".timeout 3000", u.database, fmt.Sprintf(sql, quoted...))
	output, err := command.Output()
	if err != nil {
		if failed, ok := err.(*exec.ExitError); ok {
			return nil, fmt.Errorf("%s", strings.TrimSpace(string(failed.Stderr)))
		}
		return nil, err
	}
	var rows [][]string
	for row := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x1e"), "\x1e") {
		if row != "" {
			rows = append(rows, strings.Split(row, "\x1f"))
		}
	}
	return rows, nil
}
