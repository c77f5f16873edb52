/** The part of the Trusted Types API that TypeScript does not declare. */
interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): string;
  };
}

/** The only script that the page may start. */
const path = "/worker.js";
let url: string | null = null;

/** Its policy is named in the headers of the page, which allow it once. */
export function workerUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  const policy = url === null ? trustedTypes?.createPolicy("shim-worker", { createScriptURL: () => path }) : undefined;
  return (url ??= policy?.createScriptURL(path) ?? path);
}
