import { isAbsolute, posix, relative, resolve, sep } from "node:path";
import { err, ok, type Result } from "../../shared/result.ts";
import { realPath } from "../../platform/real-path.ts";

const maxChars = 400;

/** `dir/*` is all files of a folder, `dir/**` all below it. Pure. */
export function toLeasePath(root: string, input: string): Result<string, string> {
  const relativePath = isAbsolute(input) ? relative(root, input) : input;
  const path = posix.normalize(relativePath.split(sep).join("/")).replace(/\/$/, "");
  const problem = findProblem(root, path);
  return problem === null ? ok(path) : err(`"${input}" ${problem}`);
}

function findProblem(root: string, path: string): string | null {
  if (/^\.\.(\/|$)/.test(path) || isAbsolute(path)) return `is not below ${root}`;
  if (path === "." || path === "") return 'is the whole project; "**" reserves that';
  if (path.replace(/(^|\/)\*\*?$/, "").includes("*")) return "has * somewhere other than in its last part";
  return /\p{Cc}/u.test(path) || path.length > maxChars ? "cannot be reserved" : null;
}

/** Follows links unless they lead out of the project. */
export function resolveLinks(root: string, path: string): string {
  const [range = ""] = /(^|\/)\*\*?$/.exec(path) ?? [];
  const real = relative(realPath(root), realPath(resolve(root, path.slice(0, path.length - range.length))));
  const leasePath = toLeasePath(root, real.split(sep).join("/") + (real === "" ? range.replace("/", "") : range));
  return leasePath.ok ? leasePath.value : path;
}

/** Resources of leases on files: "file:<project>/<path>". */
export const resourcePrefix = "file:";

export function toResource(project: string, path: string): string {
  return `${resourcePrefix}${project}/${path}`;
}

/** Omits the project's name, which means nothing to people. */
export function formatResource(resource: string): string {
  return resource.slice(resource.indexOf("/") + 1);
}
