/** Pure. Whether a text is an absolute path of Windows: with a drive, or of a share. */
export function isWindowsPath(path: string): boolean {
  return /^(?:[a-z]:[\\/]|\\\\)/i.test(path);
}
