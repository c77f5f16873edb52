/** The part of the Trusted Types API that TypeScript does not declare. */
interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): string;
  };
}

/** The only script that the page may start. Its policy is named in the page's own headers. */
export function workerUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  const policy = trustedTypes?.createPolicy("shim-worker", { createScriptURL: () => "/worker.js" });
  return policy?.createScriptURL("/worker.js") ?? "/worker.js";
}
