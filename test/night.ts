/** The script of package.json that runs; undefined: Vitest was started by hand and runs what it is given. */
const script = process.env["npm_lifecycle_event"];
const isWhole = process.argv.includes("--coverage") || !script?.startsWith("test:");

/**
 * A test whose title ends with `@night` takes seconds, measures time or ends processes at many moments: `npm run
 * test:night` runs it, `npm test` and CI run the others, coverage all.
 */
export const testNamePattern = isWhole ? undefined : script === "test:night" ? /@night/ : /^(?!.*@night)/;
