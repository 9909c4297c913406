/** Default application protocol of the handshake's prologue, for byte streams. */
export const application = "sealwire/socket/1"
