import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { trustSource, type TrustSource } from "#src/installer/hook-trust.ts";
import { launch, type ClientHome } from "#harness/machine/client-home.ts";

type Env = Readonly<Record<string, string>>;

/** Puts a stand-in into the folder that answers as the real Codex does. */
export function putCodexInto(bin: string): void {
  mkdirSync(bin, { recursive: true });
  const program = join(import.meta.dirname, "fake-codex-child.ts");
  writeFileSync(join(bin, "codex"), `#!${process.execPath}\nimport(${JSON.stringify(program)});\n`);
  chmodSync(join(bin, "codex"), 0o755);
}

export function putCodexOnPath(home: string): Env {
  const bin = join(home, "codex-bin");
  putCodexInto(bin);
  return { HOME: home, PATH: `${bin}:/usr/bin:/bin` };
}

export function codexSource({ codex: target }: ClientHome, env: Env): TrustSource {
  const source = trustSource(target, launch, env);
  if (!source) throw new Error("Codex's hooks need trust.");
  return source;
}
