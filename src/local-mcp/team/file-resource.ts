/** Resources of leases on files: "file:<project>/<path>". */
export const resourcePrefix = "file:";

export function toResource(project: string, path: string): string {
  return `${resourcePrefix}${project}/${path}`;
}

/** Omits the project's name, which means nothing to people. */
export function formatResource(resource: string): string {
  return resource.slice(resource.indexOf("/") + 1);
}
