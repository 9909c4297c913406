import { notUtf8 } from "./RealPath.ts"
import { ownerLost } from "./ReplacedFile.ts"

/** Clauses for errors of writing a file, by error code. */
export const writingHints: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist; create it first",
  ENOTDIR: "a part of its path is not a folder",
  EACCES: "no permission to write in its folder",
  EILSEQ: notUtf8,
  EROFS: "its folder is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "it exceeds the maximum file size of this system",
  ENAMETOOLONG: "its name is too long",
  [ownerLost]: "its owner could not be kept; change it as that user, or remove it first"
}
