const patterns: Readonly<Record<string, RegExp>> = {
  test: /^(?!.*@night)/,
  "test:real": /^(?!.*@night)/,
  "test:night": /@night/,
};

/**
 * Which tests a script of package.json runs. A title that ends with `@night` names a test that takes seconds, or proves
 * once more what a test by day proves: `npm run test:night` runs those, `npm test` and CI the others. Undefined, which
 * is all tests: Vitest was started by hand, or measures coverage.
 */
export const testNamePattern = patterns[process.env["npm_lifecycle_event"] ?? ""];
