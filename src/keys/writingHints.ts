/** What to say when a file cannot be written, by error code; clauses. */
export const writingHints: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist; make the folder first",
  ENOTDIR: "a part of its path is not a folder",
  EACCES: "this user may not write in its folder",
  EROFS: "its folder is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "it would be longer than a file may be here",
  ENAMETOOLONG: "its name is too long"
}
