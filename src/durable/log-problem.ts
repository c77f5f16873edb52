export function logProblem(what: string, details: object): void {
  // oxlint-disable-next-line no-console
  console.error(JSON.stringify({ what, ...details }));
}
