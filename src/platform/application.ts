/** The application protocol of the prologue for plain byte streams, unless the two sides agree on another one. */
export const application = "sealwire/socket/1"
