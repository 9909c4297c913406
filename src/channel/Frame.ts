// Frames of Noise messages. PROTOCOL.md sections 4 and 5.

/** Encodes the frame of a Noise message: its length as u16 big-endian, then the message. */
export const encodeFrame = (message: Uint8Array): Uint8Array => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}
