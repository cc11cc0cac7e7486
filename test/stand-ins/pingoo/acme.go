package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	renewBefore   = 30 * 24 * time.Hour
	orderInterval = 6 * time.Hour
	orderDelay    = 2 * time.Second // gives the listeners time to open
	pollTimeout   = 30 * time.Second
)

type acmeAccount struct {
	client  *acme.Client
	domains []string
}

// accountFile is acme.json: one account for each directory that was ever used.
type accountFile struct {
	Version string `json:"version"`
	Data    struct {
		Accounts map[string]storedAccount `json:"accounts"`
	} `json:"data"`
}

type storedAccount struct {
	ID  string `json:"id"`
	Key string `json:"key"` // PKCS #8 in base64
}

// openAccount asks the directory, which has all the time in the world to answer, and registers where acme.json knows
// no account for it.
func openAccount(file string, cfg *acmeConfig) (*acmeAccount, error) {
	stored := accountFile{Version: "1"}
	content, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, otherError("error reading ACME configuration file (%q): %s", file, osError(err))
	default:
		if err := json.Unmarshal(content, &stored); err != nil {
			return nil, otherError("error reading %q: %v", file, err)
		}
		if stored.Version != "1" || stored.Data.Accounts == nil {
			return nil, otherError("error reading %q: missing field `accounts`", file)
		}
	}
	if stored.Data.Accounts == nil {
		stored.Data.Accounts = map[string]storedAccount{}
	}

	ctx := context.Background()
	client := &acme.Client{DirectoryURL: cfg.directoryURL, UserAgent: "pingoo stand-in"}
	if account, known := stored.Data.Accounts[cfg.directoryURL]; known {
		if client.Key, err = decodeAccountKey(account.Key); err != nil {
			return nil, otherError("error reading %q: %v", file, err)
		}
		client.KID = acme.KeyID(account.ID)
		if _, err := client.Discover(ctx); err != nil {
			return nil, otherError("error loading ACME account: %s", directoryError(err))
		}
		return &acmeAccount{client, cfg.domains}, nil
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	client.Key = key
	account, err := client.Register(ctx, &acme.Account{}, acme.AcceptTOS)
	if err != nil {
		return nil, configError("error creating ACME account: %s", directoryError(err))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	stored.Data.Accounts[cfg.directoryURL] = storedAccount{account.URI, base64.StdEncoding.EncodeToString(der)}
	if content, err = json.MarshalIndent(stored, "", "  "); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, content, 0o666); err != nil {
		return nil, configError("error saving ACME configuration file to %q: %s", file, osError(err))
	}
	return &acmeAccount{client, cfg.domains}, nil
}

func decodeAccountKey(encoded string) (crypto.Signer, error) {
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return key.(crypto.Signer), nil
}

// directoryError says of every failed connection, an untrusted certificate included, what Pingoo says.
func directoryError(err error) string {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		slog.Error("failed to verify TLS certificate: invalid peer certificate: UnknownIssuer")
		return "client error (Connect)"
	}
	var unreachable *net.OpError
	var unanswered *url.Error
	if errors.As(err, &unreachable) || errors.As(err, &unanswered) {
		return "client error (Connect)"
	}
	return err.Error()
}

// orderInBackground orders what is missing or runs out. A failed order is tried again six hours later, or by a restart.
func (c *certificates) orderInBackground() {
	if c.acme == nil || len(c.acme.domains) == 0 {
		return
	}
	go func() {
		for {
			for _, domain := range c.acme.domains {
				if !c.isDue(domain) {
					continue
				}
				go func() {
					time.Sleep(orderDelay)
					if err := c.order(domain); err != nil {
						slog.Error("TLS: error ordering TLS certificate: "+err.Error(), "domain", domain)
						return
					}
					slog.Info("tls: ACME TLS certificate successfully saved", "domain", domain)
				}()
			}
			time.Sleep(orderInterval)
		}
	}()
}

func (c *certificates) order(domain string) error {
	chain, key, err := c.acme.order(domain, c.setChallenge)
	if err != nil {
		return err
	}
	return c.install(domain, chain, key)
}

func (a *acmeAccount) order(domain string, answer func(string, *tls.Certificate)) (chain, key []byte, err error) {
	ctx := context.Background()
	order, err := a.client.AuthorizeOrder(ctx, acme.DomainIDs(domain))
	if err != nil {
		return nil, nil, fmt.Errorf("error placing ACME order for %s: %w", domain, err)
	}
	if err := a.authorize(ctx, domain, order, answer); err != nil {
		return nil, nil, err
	}

	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{domain}}, leafKey)
	if err != nil {
		return nil, nil, err
	}
	timed, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	ders, _, err := a.client.CreateOrderCert(timed, order.FinalizeURL, request, true)
	if err != nil {
		return nil, nil, fmt.Errorf("error getting certificate chain for ACME order for %s: %w", domain, err)
	}
	answer(domain, nil)
	key, err = encodeKey(leafKey)
	return encodeChain(ders), key, err
}

// authorize says that the challenge is ready even where the authorization is valid from an earlier order. Let's Encrypt
// takes that, pebble refuses it.
func (a *acmeAccount) authorize(ctx context.Context, domain string, order *acme.Order, answer func(string, *tls.Certificate)) error {
	authorization, err := a.client.GetAuthorization(ctx, order.AuthzURLs[0])
	if err != nil {
		return fmt.Errorf("error getting ACME authorization for %s: %w", domain, err)
	}
	var challenge *acme.Challenge
	for _, offered := range authorization.Challenges {
		if offered.Type == "tls-alpn-01" {
			challenge = offered
		}
	}
	if challenge == nil {
		return errors.New("tls-alpn-01 challenge not found")
	}
	certificate, err := a.client.TLSALPN01ChallengeCert(challenge.Token, domain)
	if err != nil {
		return fmt.Errorf("error generating self-signed certificate for %s: %w", domain, err)
	}
	answer(domain, &certificate)
	if _, err := a.client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("error setting ACME challenge as ready for %s: %w", domain, err)
	}
	return a.waitUntilReady(ctx, domain, order.URI)
}

// waitUntilReady asks more often than the directory's Retry-After suggests, as Pingoo does: tests wait for this.
func (a *acmeAccount) waitUntilReady(ctx context.Context, domain, uri string) error {
	deadline := time.Now().Add(pollTimeout)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		time.Sleep(pause)
		order, err := a.client.GetOrder(ctx, uri)
		switch {
		case err != nil:
			return fmt.Errorf("error polling ACME challenge for %s: %w", domain, err)
		case order.Status == acme.StatusReady || order.Status == acme.StatusValid:
			return nil
		case order.Status != acme.StatusPending:
			return fmt.Errorf("unexpected ACME order status for %s (status: %s)", domain, order.Status)
		case time.Now().After(deadline):
			return fmt.Errorf("error polling ACME challenge for %s: timeout", domain)
		}
	}
}
