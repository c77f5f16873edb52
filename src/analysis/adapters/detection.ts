import type { Detection, ProjectView } from "../adapter.ts";

export function firstFile(project: ProjectView, names: readonly string[]): string | null {
  return names.find((name) => project.read(name) !== null) ?? null;
}

export interface Needed {
  readonly packageName: string;
  readonly program: string;
  /** Why it is expected here; null: nothing says that the project uses it. */
  readonly setUp: string | null;
  readonly risk: string | null;
}

export function detectTool(project: ProjectView, { packageName, program, setUp, risk }: Needed): Detection {
  const tool = project.findTool(packageName, program);
  if (typeof tool === "string") return { kind: "missing", why: tool };
  if (tool !== null) return { kind: "ready", tool, risk };
  if (setUp === null) return { kind: "unused", why: `${packageName} is not installed` };
  return { kind: "missing", why: `${setUp}, but ${packageName} is not installed in node_modules` };
}
