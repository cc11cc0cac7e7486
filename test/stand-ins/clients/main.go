// Command clients stands in for the many clients of a TLS server: honest ones, at any distance, and such as stall in
// their handshakes; and for peers that announce over UDP. It prints what became of them as JSON. It can also be what all
// of the former ask for.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"
)

type options struct {
	address     string
	name        string
	path        string
	from        string
	kind        string
	swarm       string
	torrents    int
	count       int64
	concurrency int
	fresh       bool
	rate        float64
	delay       time.Duration
	lasting     time.Duration
	patience    time.Duration
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: clients flood|honest|stall|announce|serve [flags]"))
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.address, "address", "", "host:port of the server")
	flags.StringVar(&o.name, "name", "", "name of the server in handshake and request")
	flags.StringVar(&o.path, "path", "/health_check", "path that is asked for")
	flags.StringVar(&o.from, "from", "", "IPv4 network of source addresses, a random one for each connection; empty: the machine's own")
	flags.StringVar(&o.kind, "kind", "silent", "how to stall: silent, partial, hello, trickle")
	flags.IntVar(&o.concurrency, "concurrency", 1, "flood, stall: connections at a time; announce: clients")
	flags.BoolVar(&o.fresh, "fresh", false, "announce: a new connection (BEP 15) for each announce")
	flags.StringVar(&o.swarm, "swarm", "same", "announce: the same peer each time, new peers, or new torrents with a new peer each: same, peers, torrents")
	flags.IntVar(&o.torrents, "torrents", 1, "announce: torrents that the same or new peers are of, in turn")
	flags.Int64Var(&o.count, "count", 0, "announce: how many, instead of how long; 0: as long as -for says")
	flags.Float64Var(&o.rate, "rate", 20, "honest: new connections per second")
	flags.DurationVar(&o.delay, "delay", 0, "time until a client's second flight, as a distant one's")
	flags.DurationVar(&o.lasting, "for", 5*time.Second, "how long")
	flags.DurationVar(&o.patience, "patience", 10*time.Second, "how long a client waits for its answer")
	_ = flags.Parse(os.Args[2:])

	source, err := newSource(o.from)
	if err != nil {
		fail(err)
	}
	var result any
	switch os.Args[1] {
	case "flood":
		result = flood(o, source)
	case "honest":
		result = honest(o, source)
	case "stall":
		result, err = stall(o, source)
	case "announce":
		result, err = announce(o)
	case "serve":
		err = http.ListenAndServe(o.address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("welcome"))
		}))
	default:
		err = fmt.Errorf("%s is neither flood, honest, stall, announce nor serve", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
