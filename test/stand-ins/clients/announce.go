package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type announced struct {
	// Announces that were answered, and those that were refused or lost.
	Announces int     `json:"announces"`
	Failures  int     `json:"failures"`
	PerSecond float64 `json:"perSecond"`
	Error     string  `json:"error,omitempty"`
}

// presence is what an announce says: this peer is in that swarm.
type presence struct{ hash, peer []byte }

// swarms has the ways in which announces differ from each other, by name. Each makes an announce, given the torrents that
// there are and how many announces were before.
var swarms = map[string]func(torrents [][]byte, before int64) presence{
	"same": func(torrents [][]byte, before int64) presence {
		return presence{torrents[before%int64(len(torrents))], []byte("-XX0001-000000006001")}
	},
	"peers": func(torrents [][]byte, before int64) presence {
		return presence{torrents[before%int64(len(torrents))], random(20)}
	},
	"torrents": func([][]byte, int64) presence { return presence{random(20), random(20)} },
}

// announce has as many clients as it is told, each of which announces over UDP (BEP 15) again and again: with the connection
// that it got first, or with a new one each time. A packet that is lost is not sent again.
func announce(o options) (announced, error) {
	next, known := swarms[o.swarm]
	if !known {
		return announced{}, fmt.Errorf("%q is no kind of swarm", o.swarm)
	}
	torrents := make([][]byte, max(1, o.torrents))
	for i := range torrents {
		torrents[i] = random(20)
	}
	var mu sync.Mutex
	var result announced
	var begun atomic.Int64
	began := time.Now()
	// The next announce, as long as there is one to be made.
	turn := func() (presence, bool) {
		before := begun.Add(1) - 1
		if o.count > 0 && before >= o.count || o.count == 0 && time.Since(began) >= o.lasting {
			return presence{}, false
		}
		return next(torrents, before), true
	}
	var all sync.WaitGroup
	for range o.concurrency {
		together(&all, func() {
			done, failed, err := announceAgain(o, turn)
			mu.Lock()
			defer mu.Unlock()
			result.Announces += done
			result.Failures += failed
			if err != nil {
				result.Error = err.Error()
			}
		})
	}
	all.Wait()
	result.PerSecond = float64(result.Announces) / time.Since(began).Seconds()
	return result, nil
}

func random(size int) []byte {
	bytes := make([]byte, size)
	_, _ = rand.Read(bytes)
	return bytes
}

// announceAgain is what one client does. @returns the last error besides the counts
func announceAgain(o options, turn func() (presence, bool)) (done, failed int, last error) {
	conn, err := net.Dial("udp", o.address)
	if err != nil {
		return 0, 1, err
	}
	defer conn.Close()
	var connection []byte
	for who, more := turn(); more; who, more = turn() {
		var err error
		if connection == nil || o.fresh {
			connection, err = connectUDP(conn, o.patience)
		}
		if err == nil {
			err = announceUDP(conn, connection, who, o.patience)
		}
		if err != nil {
			connection, last = nil, err
			failed++
			continue
		}
		done++
	}
	return done, failed, last
}

const protocolID = 0x41727101980

const (
	actionConnect uint32 = iota
	actionAnnounce
)

func connectUDP(conn net.Conn, patience time.Duration) ([]byte, error) {
	packet := binary.BigEndian.AppendUint64(nil, protocolID)
	reply, err := exchange(conn, packet, actionConnect, nil, patience)
	if err != nil {
		return nil, err
	}
	if len(reply) < 16 {
		return nil, errors.New("short reply to connect")
	}
	return reply[8:16], nil
}

func announceUDP(conn net.Conn, connection []byte, who presence, patience time.Duration) error {
	body := append(append([]byte(nil), who.hash...), who.peer...)
	body = binary.BigEndian.AppendUint64(body, 0) // downloaded
	body = binary.BigEndian.AppendUint64(body, 1) // left
	body = binary.BigEndian.AppendUint64(body, 0) // uploaded
	body = binary.BigEndian.AppendUint32(body, 2) // event: started
	body = binary.BigEndian.AppendUint32(body, 0) // address: the packet's own
	body = binary.BigEndian.AppendUint32(body, 0) // key
	body = binary.BigEndian.AppendUint32(body, 0xffffffff)
	body = binary.BigEndian.AppendUint16(body, 6001)
	_, err := exchange(conn, connection, actionAnnounce, body, patience)
	return err
}

// exchange sends a request, which begins with 8 bytes of its own, and waits for the reply that has its transaction's number.
func exchange(conn net.Conn, head []byte, action uint32, body []byte, patience time.Duration) ([]byte, error) {
	transaction := random(4)
	packet := binary.BigEndian.AppendUint32(append([]byte(nil), head...), action)
	packet = append(append(packet, transaction...), body...)
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	reply := make([]byte, 2048)
	for {
		n, err := conn.Read(reply)
		if err != nil {
			return nil, err
		}
		if n < 8 || string(reply[4:8]) != string(transaction) {
			continue
		}
		if got := binary.BigEndian.Uint32(reply); got != action {
			return nil, fmt.Errorf("refused: %s", reply[8:n])
		}
		return reply[:n], nil
	}
}
