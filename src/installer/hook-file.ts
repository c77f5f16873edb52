/** A file of hooks that is SHIM's alone, such as a plugin. Pure. */

const scriptIn = /(?<![^"'\s])[^"'\s]+(?:(?:dist[\\/]+hook|shim-hook)\.[cm]?js|\/dist\/shim-hook(?=['\s]))/;

/** Whether SHIM wrote it. */
export function isOwnFile(text: string): boolean {
  return scriptIn.test(text);
}

/** The hook that the file starts, as a handler: both forms of file hold its path as text. */
export function handlerIn(text: string): Record<string, unknown> {
  const script = scriptIn.exec(text)?.[0] ?? "";
  return { command: JSON.parse(`"${script}"`) as string };
}
