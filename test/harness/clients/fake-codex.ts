import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatOf } from "#src/installer/client-formats.ts";
import type { TrustSource } from "#src/installer/hook-trust.ts";
import { launch, type ClientHome } from "#harness/machine/client-home.ts";

type Env = Readonly<Record<string, string>>;

/** @returns an environment in which `codex` is a stand-in that answers as the real one does */
export function putCodexOnPath(home: string): Env {
  const bin = join(home, "codex-bin");
  mkdirSync(bin, { recursive: true });
  const script = `#!${process.execPath}\nimport(${JSON.stringify(join(import.meta.dirname, "fake-codex-child.ts"))});\n`;
  writeFileSync(join(bin, "codex"), script);
  chmodSync(join(bin, "codex"), 0o755);
  return { HOME: home, PATH: `${bin}:/usr/bin:/bin` };
}

export function codexSource({ codex: target }: ClientHome, env: Env): TrustSource {
  const { hooks } = formatOf("codex");
  const commands = hooks?.events.map((event) => hooks.handler(launch, "linux", event).command) ?? [];
  return { target, env, commands };
}
