/** The log of a worker is its console: one line of JSON for each problem. */
export function logProblem(what: string, details: object): void {
  // oxlint-disable-next-line no-console
  console.error(JSON.stringify({ what, ...details }));
}
