/** Ends a command whose reader has ended, as in `shim sessions | head`. */
export function endWithoutReader(): void {
  const { stdout } = process;
  stdout.on("error", () => {
    if (stdout.listenerCount("error") === 1) process.exit(0);
  });
}
