import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { built } from "./mcp-process.ts";
import { temporaryFolder } from "./git-project.ts";

/** A copy of the built programs, with another time of its build. @returns its `mcp.cjs` */
export function otherBuild(laterMs: number): string {
  const [dist, root] = [dirname(built.mcp), join(dirname(built.mcp), "..")];
  const folder = temporaryFolder();
  const time = /\b1[78]\d{11}\b/.exec(readFileSync(join(dist, "mcp-main.cjs"), "utf8"))?.[0];
  if (time === undefined) throw new Error("the build has no time");
  cpSync(dist, join(folder, "dist"), { recursive: true });
  for (const name of ["node_modules", "package.json"]) symlinkSync(join(root, name), join(folder, name));
  const programs = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".cjs"));
  for (const name of programs) {
    const path = join(folder, "dist", name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(time, String(Number(time) + laterMs)));
  }
  return join(folder, "dist", "mcp.cjs");
}
