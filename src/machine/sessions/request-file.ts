import { readlinkSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { filePathOf } from "../../clients/adapter/tools.ts";
import type { HookInput } from "../../contract/hooks.ts";
import { realPath } from "../../platform/paths.ts";
import { pluralize } from "../../shared/format.ts";

/** For a person who decides on a call: what its arguments do not say of the file that they name. */
export function fileFacts({ tool_name: tool = "", tool_input: input, cwd }: HookInput): string[] {
  const given = filePathOf(tool, input);
  if (given === null || !isAbsolute(cwd ?? given)) return [];
  const path = resolve(cwd ?? "", given);
  const real = realPath(targetOf(path));
  const size = tool === "Write" ? sizeOf(real) : 0;
  return [
    ...(real === withoutLinks(path, cwd) ? [] : [`leads to ${real}`]),
    ...(size > 0 ? [`replaces all that the file has: ${pluralize(size, "byte")}`] : []),
  ];
}

/** Links above the chat's folder are no news to its user. */
function withoutLinks(path: string, cwd: string | undefined): string {
  const inner = cwd === undefined ? ".." : relative(cwd, path);
  return cwd === undefined || inner.startsWith("..") || isAbsolute(inner) ? path : join(realPath(cwd), inner);
}

/** Where a link leads also if nothing is there. */
function targetOf(path: string): string {
  try {
    return resolve(realPath(dirname(path)), readlinkSync(path));
  } catch {
    return path;
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
