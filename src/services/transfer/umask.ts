/**
 * The file mode creation mask of this process: bits that no file or folder from a peer gets. Read
 * once, because reading sets it for a moment (umask(2)).
 */
export const umask = process.umask()
