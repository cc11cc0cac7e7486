package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// What could not be stored is served all the same.
const (
	storeAttempts = 5
	storePause    = 5 * time.Second
)

// The certificates of all listeners: those in the folder, those that ACME brings later, and a self-signed one for
// every name that has none.
type certificates struct {
	folder   string
	fallback *tls.Certificate
	acme     *acmeAccount // nil without tls.acme

	mu         sync.RWMutex
	byName     map[string]*tls.Certificate
	wildcards  []*tls.Certificate
	challenges map[string]*tls.Certificate
}

func newCertificates(folder string, cfg *acmeConfig) (*certificates, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, configError("error creating TLS folder (%s): %s", folder, osError(err))
	}
	c := &certificates{folder: folder, byName: map[string]*tls.Certificate{}, challenges: map[string]*tls.Certificate{}}
	if err := c.load(); err != nil {
		return nil, err
	}
	var err error
	if c.fallback, err = fallbackCertificate(filepath.Join(folder, "default.pem")); err != nil {
		return nil, err
	}
	if cfg == nil {
		return c, nil
	}
	c.acme, err = openAccount(filepath.Join(folder, "acme.json"), cfg)
	return c, err
}

// load reads every .pem of the folder with its .key; one bad pair keeps Pingoo from starting.
func (c *certificates) load() error {
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return configError("error reading certificates folder (%s): %s", c.folder, osError(err))
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || filepath.Ext(entry.Name()) != ".pem" {
			continue
		}
		certificate, err := loadCertificate(filepath.Join(c.folder, entry.Name()))
		if err != nil {
			return err
		}
		wildcard := false
		for _, name := range certificate.Leaf.DNSNames {
			if strings.Contains(name, "*") {
				wildcard = true
				continue
			}
			if c.byName[name] != nil {
				slog.Warn("duplicate TLS certificate found for " + name)
			}
			c.byName[name] = certificate
		}
		if wildcard && entry.Name() != "default.pem" {
			c.wildcards = append(c.wildcards, certificate)
		}
	}
	return nil
}

func loadCertificate(file string) (*tls.Certificate, error) {
	chain, err := os.ReadFile(file)
	if err != nil {
		return nil, configError("error reading certificate %q: %s", file, osError(err))
	}
	keyFile := strings.TrimSuffix(file, ".pem") + ".key"
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, configError("error reading private key %q: %s", keyFile, osError(err))
	}
	return parseCertificate(chain, key)
}

func parseCertificate(chain, key []byte) (*tls.Certificate, error) {
	if block, _ := pem.Decode(key); block == nil {
		return nil, tlsError("private key file is not valid")
	}
	if block, _ := pem.Decode(chain); block == nil {
		return nil, tlsError("TLS cert chain is empty")
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, tlsError("error verifying TLS certificates: %v", err)
	}
	if len(certificate.Leaf.DNSNames)+len(certificate.Leaf.IPAddresses) == 0 {
		return nil, tlsError("TLS certificate is not valid: hostnames list (SAN, Subject Alternative Name) is empty")
	}
	return &certificate, nil
}

func fallbackCertificate(file string) (*tls.Certificate, error) {
	if _, err := os.Stat(file); err == nil {
		certificate, err := loadCertificate(file)
		if err == nil && !slices.Equal(certificate.Leaf.DNSNames, []string{"*"}) {
			err = tlsError("default TLS certificate is not valid")
		}
		return certificate, err
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	chain, key, err := selfSigned(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "Pingoo self-signed certificate"},
		DNSNames:     []string{"*"},
		NotBefore:    today,
		NotAfter:     today.AddDate(1, 0, 0),
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, chain, 0o666); err != nil {
		return nil, tlsError("error writing default TLS certificate to %q: %s", file, osError(err))
	}
	keyFile := strings.TrimSuffix(file, ".pem") + ".key"
	if err := os.WriteFile(keyFile, key, 0o666); err != nil {
		return nil, tlsError("error writing private key for default TLS certificate to %q: %s", keyFile, osError(err))
	}
	return parseCertificate(chain, key)
}

func selfSigned(template *x509.Certificate) (chain, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(signer)
	return encodeChain([][]byte{der}), key, err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func encodeChain(chain [][]byte) []byte {
	var encoded []byte
	for _, der := range chain {
		encoded = append(encoded, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return encoded
}

// tlsConfig allows TLS 1.3 only, with the key exchanges that Pingoo takes.
func (c *certificates) tlsConfig(protocols ...string) *tls.Config {
	base := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
		NextProtos:       protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.forName(strings.ToLower(hello.ServerName)), nil
		},
	}
	withChallenges := base.Clone()
	withChallenges.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return nil, nil
		}
		answer := base.Clone()
		answer.NextProtos = nil
		if challenge := c.challenge(strings.ToLower(hello.ServerName)); challenge != nil {
			answer.NextProtos = []string{acme.ALPNProto}
			answer.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return challenge, nil }
		} else {
			slog.Error("tls: error getting tls-alpn-01 certificate: ACME challenge not found for " + hello.ServerName)
		}
		return answer, nil
	}
	return withChallenges
}

func (c *certificates) forName(name string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if certificate := c.byName[name]; certificate != nil {
		return certificate
	}
	for _, certificate := range c.wildcards {
		for _, pattern := range certificate.Leaf.DNSNames {
			if before, after, ok := strings.Cut(pattern, "*"); ok && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
				return certificate
			}
		}
	}
	return c.fallback
}

func (c *certificates) challenge(name string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.challenges[name]
}

func (c *certificates) setChallenge(domain string, certificate *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.challenges[domain] = certificate
}

// isDue says whether a domain has no certificate or one with less than 30 days to go.
func (c *certificates) isDue(domain string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	certificate := c.byName[domain]
	return certificate == nil || time.Until(certificate.Leaf.NotAfter) < renewBefore
}

// install serves a new certificate from now on and keeps it, with whatever file mode the umask or an older file gives.
func (c *certificates) install(domain string, chain, key []byte) error {
	certificate, err := parseCertificate(chain, key)
	if err != nil {
		return fmt.Errorf("error parsing ACME certificate: %w", err)
	}
	c.mu.Lock()
	c.byName[domain] = certificate
	c.mu.Unlock()

	base := filepath.Join(c.folder, domain)
	for attempt := 1; ; attempt++ {
		if err = os.WriteFile(base+".key", key, 0o666); err == nil {
			err = os.WriteFile(base+".pem", chain, 0o666)
		}
		if err == nil || attempt == storeAttempts {
			return err
		}
		time.Sleep(storePause)
	}
}

func newCaptchaKeys() ([]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return json.MarshalIndent(map[string]any{"keys": []any{map[string]string{
		"kid": rand.Text(), "use": "sig", "alg": "EdDSA", "kty": "OKP", "crv": "Ed25519",
		"x": encode(public), "d": encode(private.Seed()),
	}}}, "", "  ")
}
