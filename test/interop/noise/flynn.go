// A peer for `sealwire debug noise` that uses github.com/flynn/noise: the same options, and one JSON line at the end.
// Frames are u16 big-endian length, then the Noise message. It contains no code of Sealwire.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flynn/noise"
)

const deadline = 20 * time.Second

var patterns = map[string]noise.HandshakePattern{
	"N": noise.HandshakeN, "K": noise.HandshakeK, "X": noise.HandshakeX,
	"NN": noise.HandshakeNN, "NK": noise.HandshakeNK, "NX": noise.HandshakeNX,
	"XN": noise.HandshakeXN, "XK": noise.HandshakeXK, "XX": noise.HandshakeXX,
	"KN": noise.HandshakeKN, "KK": noise.HandshakeKK, "KX": noise.HandshakeKX,
	"IN": noise.HandshakeIN, "IK": noise.HandshakeIK, "IX": noise.HandshakeIX,
}

var (
	pattern  = flag.String("pattern", "", "XXpsk3")
	role     = flag.String("role", "", "initiator or responder")
	listen   = flag.String("listen", "", "host:port or unix:PATH")
	to       = flag.String("to", "", "host:port or unix:PATH")
	prologue = flag.String("prologue-file", "", "")
	static   = flag.String("static-file", "", "32 bytes")
	remote   = flag.String("remote-file", "", "32 bytes")
	psk      = flag.String("psk-file", "", "32 bytes")
	messages = flag.String("messages-file", "", "one message in hexadecimal per line")
	rekey    = flag.Int("rekey-after", 0, "rekey each direction after every N messages")
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "flynn:", err)
		os.Exit(1)
	}
}

func contentOf(file string) []byte {
	if file == "" {
		return nil
	}
	content, err := os.ReadFile(file)
	check(err)
	return content
}

func connection() net.Conn {
	network := func(address string) (string, string) {
		if strings.HasPrefix(address, "unix:") {
			return "unix", strings.TrimPrefix(address, "unix:")
		}
		return "tcp", address
	}
	var conn net.Conn
	if *listen != "" {
		listener, err := net.Listen(network(*listen))
		check(err)
		name := listener.Addr().String()
		if listener.Addr().Network() == "unix" {
			name = "unix:" + name
		}
		fmt.Fprintln(os.Stderr, "listening on", name)
		timer := time.AfterFunc(deadline, func() { check(errors.New("no connection in time")) })
		conn, err = listener.Accept()
		check(err)
		timer.Stop()
	} else {
		var err error
		kind, address := network(*to)
		conn, err = net.DialTimeout(kind, address, deadline)
		check(err)
	}
	check(conn.SetDeadline(time.Now().Add(deadline)))
	return conn
}

func config() noise.Config {
	parts := regexp.MustCompile(`^([A-Z]+)(?:psk(\d))?$`).FindStringSubmatch(*pattern)
	if parts == nil || patterns[parts[1]].Name == "" {
		check(errors.New("no such pattern here: " + *pattern))
	}
	c := noise.Config{
		CipherSuite:  noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:      patterns[parts[1]],
		Initiator:    *role == "initiator",
		Prologue:     contentOf(*prologue),
		PresharedKey: contentOf(*psk),
		PeerStatic:   contentOf(*remote),
	}
	if parts[2] != "" {
		c.PresharedKeyPlacement, _ = strconv.Atoi(parts[2])
	}
	if private := contentOf(*static); private != nil {
		// The generator reads the private key as its random bytes.
		pair, err := noise.DH25519.GenerateKeypair(bytes.NewReader(private))
		check(err)
		c.StaticKeypair = pair
	}
	return c
}

// readFrame returns io.EOF when the peer ends between two frames.
func readFrame(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return nil, fmt.Errorf("inside a frame: %v", err)
	}
	return message, nil
}

func writeFrame(conn net.Conn, message []byte) {
	length := make([]byte, 2, 2+len(message))
	binary.BigEndian.PutUint16(length, uint16(len(message)))
	_, err := conn.Write(append(length, message...))
	check(err)
}

func main() {
	flag.Parse()
	conn := connection()
	c := config()
	state, err := noise.NewHandshakeState(c)
	check(err)

	// Split returns the state in which the initiator sends, then the other.
	var first, second *noise.CipherState
	for writes := c.Initiator; first == nil; writes = !writes {
		var message []byte
		if writes {
			message, first, second, err = state.WriteMessage(nil, nil)
			check(err)
			writeFrame(conn, message)
		} else {
			message, err = readFrame(conn)
			check(err)
			message, first, second, err = state.ReadMessage(nil, message)
			check(err)
			if len(message) > 0 {
				check(errors.New("a payload that is not empty"))
			}
		}
	}
	sending, receiving := first, second
	if !c.Initiator {
		sending, receiving = second, first
	}
	oneWay := len(c.Pattern.Name) == 1
	sent, received := 0, 0

	send := func(message []byte) {
		sealed, err := sending.Encrypt(nil, nil, message)
		check(err)
		writeFrame(conn, sealed)
		sent++
		if *rekey > 0 && sent%*rekey == 0 {
			sending.Rekey()
		}
	}
	receive := func() ([]byte, error) {
		sealed, err := readFrame(conn)
		if err != nil {
			return nil, err
		}
		message, err := receiving.Decrypt(nil, nil, sealed)
		check(err)
		received++
		if *rekey > 0 && received%*rekey == 0 {
			receiving.Rekey()
		}
		return message, nil
	}

	count, size := 0, 0
	if c.Initiator {
		for _, line := range strings.Split(strings.TrimSuffix(string(contentOf(*messages)), "\n"), "\n") {
			message, err := hex.DecodeString(line)
			check(err)
			send(message)
			count++
			size += len(message)
			if oneWay {
				continue
			}
			echo, err := receive()
			check(err)
			if !bytes.Equal(echo, message) {
				check(errors.New("another echo"))
			}
		}
		check(conn.(interface{ CloseWrite() error }).CloseWrite())
		if _, err := receive(); err != io.EOF {
			check(errors.New("more than the echoes"))
		}
	} else {
		for {
			message, err := receive()
			if err == io.EOF {
				break
			}
			check(err)
			count++
			size += len(message)
			if !oneWay {
				send(message)
			}
		}
	}
	check(conn.Close())
	check(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"handshakeHash": hex.EncodeToString(state.ChannelBinding()),
		"remoteStatic":  hex.EncodeToString(state.PeerStatic()),
		"messages":      count,
		"bytes":         size,
		"sendingNonce":  sending.Nonce(),
	}))
}
