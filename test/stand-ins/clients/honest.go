package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// distant holds back what the client sends after its first flight, once, like a longer way to the server.
type distant struct {
	net.Conn
	delay  time.Duration
	writes int
}

func (d *distant) Write(data []byte) (int, error) {
	if d.writes++; d.writes == 2 {
		time.Sleep(d.delay)
	}
	return d.Conn.Write(data)
}

// ask makes a connection, finishes its handshake and reads the first byte of an answer. Times count from the beginning.
func ask(o options, s source) (shaken, answered time.Duration, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), o.patience)
	defer cancel()
	conn, err := s.dial(ctx, o.address)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(began.Add(o.patience))
	// Full handshakes: what is resumed costs the server less.
	secured := tls.Client(&distant{Conn: conn, delay: o.delay}, &tls.Config{
		ServerName: o.name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"},
	})
	if err := secured.Handshake(); err != nil {
		return 0, 0, err
	}
	shaken = time.Since(began)
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: clients\r\nConnection: close\r\n\r\n", o.path, o.name)
	if _, err := secured.Write([]byte(request)); err != nil {
		return 0, 0, err
	}
	first := make([]byte, len("HTTP/1.1 200"))
	if _, err := secured.Read(first); err != nil {
		return 0, 0, err
	}
	if string(first) != "HTTP/1.1 200" {
		return 0, 0, fmt.Errorf("answer %q", first)
	}
	return shaken, time.Since(began), nil
}

type flooded struct {
	Connections int     `json:"connections"`
	Failures    int     `json:"failures"`
	PerSecond   float64 `json:"perSecond"`
	// Milliseconds until the first byte of the answer.
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Error  string  `json:"error,omitempty"`
}

// flood has as many clients as it is told, each of which comes again as soon as it was served.
func flood(o options, s source) flooded {
	var mu sync.Mutex
	var times []time.Duration
	var result flooded
	began := time.Now()
	var all sync.WaitGroup
	for range o.concurrency {
		together(&all, func() {
			for time.Since(began) < o.lasting {
				_, answered, err := ask(o, s)
				mu.Lock()
				switch {
				case err != nil:
					result.Failures++
					result.Error = err.Error()
				case time.Since(began) < o.lasting:
					times = append(times, answered)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(times)
	result.Connections = len(times)
	result.PerSecond = float64(len(times)) / o.lasting.Seconds()
	result.Median, result.P99 = milliseconds(quantile(times, 0.5)), milliseconds(quantile(times, 0.99))
	return result
}

type served struct {
	Clients int `json:"clients"`
	// Those who got an answer before they lost patience.
	Served int `json:"served"`
	// Shares of those whose handshake was done by then.
	WithinOneSecond   float64 `json:"withinOneSecond"`
	WithinFiveSeconds float64 `json:"withinFiveSeconds"`
	// Milliseconds until the handshake was done, of those that were served.
	Median float64 `json:"median"`
	Error  string  `json:"error,omitempty"`
}

// honest has clients come at a steady rate, whatever becomes of those before them.
func honest(o options, s source) served {
	var mu sync.Mutex
	var times []time.Duration
	var result served
	var all sync.WaitGroup
	began := time.Now()
	for ; time.Since(began) < o.lasting; result.Clients++ {
		together(&all, func() {
			shaken, _, err := ask(o, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				result.Error = err.Error()
				return
			}
			times = append(times, shaken)
		})
		time.Sleep(time.Duration(float64(time.Second) / o.rate))
	}
	all.Wait()
	slices.Sort(times)
	result.Served = len(times)
	within := func(limit time.Duration) float64 {
		count, _ := slices.BinarySearch(times, limit)
		return float64(count) / float64(max(1, result.Clients))
	}
	result.WithinOneSecond, result.WithinFiveSeconds = within(time.Second), within(5*time.Second)
	result.Median = milliseconds(quantile(times, 0.5))
	return result
}

func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(share*float64(len(sorted)-1))]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
