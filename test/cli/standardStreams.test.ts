// Standard input and output of every kind: devices, directories, sockets, closed descriptors. All
// bytes are read and written, or the command fails.
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { existsSync, openSync, readSync } from "node:fs"
import net from "node:net"
import { describe, expect } from "vitest"
import { canMount, smallDisk } from "./SmallDisk.ts"
import { bin, it, type Box } from "./Sealwire.ts"

const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined

/** Runs a command line of the shell, in which $sealwire is the command. */
const shell = (box: Box, line: string) =>
  box.runOther("sh", ["-c", line.replaceAll("$sealwire", `"${process.execPath}" "${bin}"`)])

const reading: ReadonlyArray<string> = [
  "encrypt --file-key ./sealwire-file.key",
  "decrypt --file-key ./sealwire-file.key",
  "send --key ./sealwire.key --to 127.0.0.1:1 -",
  "send --key ./sealwire.key --to 127.0.0.1:1",
  "send --key ./sealwire.key --to 127.0.0.1:1 --lines",
  "classic send --key ./aes_key.bin --to 127.0.0.1:1 -",
  "classic send --key ./aes_key.bin --to 127.0.0.1:1",
  "push - --as x --key ./sealwire.key --to 127.0.0.1:1",
  "pipe --key ./sealwire.key --to 127.0.0.1:1",
  "tunnel --listen - --key ./sealwire.key --to 127.0.0.1:1"
]

const keys = async (box: Box) => {
  for (const kind of ["", " file-key"]) await box.run(`keygen${kind}`.split(" "))
  box.writeKey()
}

/** The memory of the shell, whose address 0 nobody can read. An `exec` would end that memory. */
const unreadable = "< /proc/self/mem; exit $?"

/** Runs a program whose descriptor `fd` is one end of a socket pair, and prints what arrives. */
const socketPair = (kind: string, fd: number) => `
import socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.${kind})
stdio = {"stdin" if ${fd} == 0 else "stdout": theirs}
if ${fd} == 0: ours.send(b"text")
else: stdio["stdin"] = open("/dev/null")
code = subprocess.run(sys.argv[1:], **stdio).returncode
if ${fd} == 1:
    ours.setblocking(False)
    try: sys.stdout.write(ours.recv(65536).decode())
    except BlockingIOError: pass
sys.exit(code)
`

describe("a standard input that has no bytes", () => {
  it.skipIf(!existsSync("/proc/self/fd")).for([
    ["< .", "is a directory; name a file"],
    ["<&-", "is closed; give it a file or a pipe"],
    ["0> ./other", "is open for writing only; give it a file or a pipe"]
  ] as const)("is refused by every command: %s", async ([redirection, clause], { box }) => {
    await keys(box)
    for (const line of reading)
      expect([line, await shell(box, `exec $sealwire ${line} ${redirection}`)]).toEqual([
        line,
        { code: 2, stdout: Buffer.alloc(0), stderr: `sealwire: standard input: ${clause}\n` }
      ])
  })

  it.skipIf(!has("python3")).for(["SOCK_DGRAM", "SOCK_SEQPACKET"])(
    "is refused by every command: %s",
    async (kind, { box }) => {
      await keys(box)
      for (const line of reading) {
        const args = [process.execPath, bin, ...line.split(" ")]
        const ended = await box.runOther("python3", ["-c", socketPair(kind, 0), ...args])
        expect([line, ended.code, ended.stderr]).toEqual([
          line,
          2,
          "sealwire: standard input: is a datagram socket, which is no stream of bytes; give it a file or a pipe\n"
        ])
      }
    }
  )

  it
    .skipIf(!existsSync("/proc/self/fd"))
    .for([
      "encrypt --file-key ./sealwire-file.key",
      "send --key ./sealwire.key --to 127.0.0.1:1 -",
      "push - --as x --key ./sealwire.key --to 127.0.0.1:1"
    ])("fails as input, not as disk or network: %s", async (line, { box }) => {
    await keys(box)
    const { code, stderr } = await shell(box, `$sealwire ${line} ${unreadable}`)
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("standard input: cannot be read (EIO)")
    ])
  })
})

it.skipIf(!has("python3")).for(["SOCK_DGRAM", "SOCK_SEQPACKET"])(
  "the result goes into a %s standard output",
  async (kind, { box }) => {
    await box.run(["keygen", "identity"])
    const expected = await box.run(["pubkey"])
    const args = ["-c", socketPair(kind, 1), process.execPath, bin, "pubkey"]
    expect(await box.runOther("python3", args)).toEqual(expected)
  }
)

it("a pipe with an input that cannot be read fails as input", async ({ box }) => {
  await keys(box)
  const target = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1")
  target.on("connection", (socket) => socket.on("error", () => {}))
  box.defer(() => target.close())
  await once(target, "listening")
  const { port } = target.address() as net.AddressInfo
  const server = await box.listen(
    `serve --listen 127.0.0.1:0 --key ./sealwire.key --forward x=127.0.0.1:${port}`.split(" "),
    { process: true }
  )
  const line = `pipe --to ${server.address} --key ./sealwire.key --target x`
  const { code, stderr } = await shell(box, `$sealwire ${line} ${unreadable}`)
  expect([code, stderr]).toEqual([2, "sealwire: standard input: cannot be read (EIO)\n"])
  const closed = await shell(box, `exec $sealwire ${line} < /dev/null >&-`)
  expect([closed.code, closed.stderr]).toEqual([
    2,
    "sealwire: standard output is closed, and the data would be lost; name a file or a pipe\n"
  ])
})

/** Makes a loop device of this many bytes; undefined where that is not permitted. */
const loopDevice = (box: Box, name: string, bytes: number): string | undefined => {
  box.write(name, Buffer.alloc(bytes))
  const { status, stdout } = spawnSync("losetup", ["-f", "--show", box.path(name)])
  if (status !== 0) return undefined
  const device = stdout.toString().trim()
  box.defer(() => spawnSync("losetup", ["-d", device]))
  return device
}

const startOf = (device: string, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  readSync(openSync(device, "r"), bytes)
  return bytes
}

describe("a block device", () => {
  const size = 1024 * 1024

  it.skipIf(!canMount)("is read to its end", async ({ box, skip }) => {
    await keys(box)
    const device = loopDevice(box, "image", size)
    if (device === undefined) return skip("no loop device can be made")
    const content = randomBytes(size)
    box.write("content", content)
    await shell(box, `cat content > ${device}`)
    const key = "--file-key ./sealwire-file.key"
    const line = `$sealwire encrypt ${key} < ${device} | $sealwire decrypt ${key}`
    expect((await shell(box, line)).stdout.equals(content)).toBe(true)
    const server = await box.listen(
      "serve --listen 127.0.0.1:0 --key ./sealwire.key --files .".split(" "),
      { process: true }
    )
    const push = `push - --as pushed --key ./sealwire.key --to ${server.address}`
    expect((await shell(box, `exec $sealwire ${push} < ${device}`)).code).toBe(0)
    expect(box.read("pushed").equals(content)).toBe(true)
  })

  it.skipIf(!canMount)("takes all that is written, or the command fails", async ({ box, skip }) => {
    const device = loopDevice(box, "image", size)
    const small = loopDevice(box, "small", 4096)
    if (device === undefined || small === undefined) return skip("no loop device can be made")
    await box.run(["keygen"])
    const serve = "serve --listen 127.0.0.1:0 --key ./sealwire.key --inbox ./i.db".split(" ")
    const server = await box.listen(serve, { process: true })
    box.write("text", "t".repeat(5000))
    const send = `send - --key ./sealwire.key --to ${server.address}`
    expect((await shell(box, `exec $sealwire ${send} < text`)).code).toBe(0)
    const take = "$sealwire inbox take --ack --inbox ./i.db"
    const full = await shell(box, `exec ${take} > ${small}`)
    expect([full.code, full.stderr]).toEqual([
      2,
      expect.stringContaining("cannot write standard output (ENOSPC)")
    ])
    const listed = await box.run("inbox list --inbox ./i.db --json".split(" "))
    expect(listed.stdout.toString()).toContain('"bytes":5000')
    const encrypted = await shell(
      box,
      `$sealwire keygen file-key; exec $sealwire encrypt --file-key ./sealwire-file.key ./text > ${device}`
    )
    expect(encrypted.code).toBe(0)
    expect(startOf(device, 4).toString()).toBe("SLWF")
  })
})

it.skipIf(!canMount)(
  "a file on a disk that is full in the middle of the last write",
  async ({ box, skip }) => {
    const disk = smallDisk(box, "76k")
    if (disk === undefined) return skip("no file system can be mounted")
    await keys(box)
    box.write("plain", randomBytes(80_000))
    const key = "--file-key ./sealwire-file.key"
    await box.run(`encrypt ./plain ${key} -o ./sealed`.split(" "))
    const { code, stderr } = await shell(box, `exec $sealwire decrypt ./sealed ${key} > disk/out`)
    expect([code, stderr]).toEqual([2, "sealwire: cannot write standard output (ENOSPC)\n"])
  }
)
