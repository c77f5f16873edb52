import { resolve } from "node:path";
import type { Self } from "../../contract/values.ts";
import { err, ok } from "../../shared/result.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { ReservedFiles } from "./reserved-files.ts";

export const reservationHandlers: Handlers<"reservations.list" | "reservations.create" | "reservations.release"> = {
  async "reservations.list"(context, { folder }) {
    const workspace = await context.workspace.open();
    if (!workspace.ok) return workspace;
    const opened = await ReservedFiles.open(await context.runtime(), workspace.value, folder, true);
    if (!opened.ok) return opened;
    const leases = await opened.value.list();
    if (!leases.ok) return leases;
    const files = await Promise.all(leases.value.map((lease) => opened.value.view(lease)));
    return ok({ project: opened.value.root, files });
  },
  "reservations.create": (context, { folder, paths, forMs }) =>
    withTarget(context, folder, paths, async ({ project, resources, self }) => {
      const reserved = await project.reserve(self, resources, forMs);
      if (!reserved.ok) return reserved;
      return ok({ forMs, files: await Promise.all(reserved.value.map((lease) => project.view(lease))) });
    }),
  "reservations.release": (context, { folder, paths }) =>
    withTarget(context, folder, paths, async ({ project, resources, self }) => {
      const leases = await project.list(self.chat);
      if (!leases.ok) return leases;
      const chosen = leases.value.filter(({ resource }) => paths.length === 0 || resources.includes(resource));
      if (chosen.length === 0) {
        const message = "the command line has reserved none of these here; `shim team files list` shows who has.";
        return err({ code: "not_found", message });
      }
      for (const lease of chosen) {
        const released = await project.release(self, lease);
        if (!released.ok) return released;
      }
      return ok({ released: chosen.map(({ resource }) => resource.slice(project.prefix.length)) });
    }),
};

interface Target {
  readonly project: ReservedFiles;
  readonly resources: readonly string[];
  readonly self: Self;
}

async function withTarget<T>(
  context: HandlerContext,
  folder: string,
  paths: readonly string[],
  body: (target: Target) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  const workspace = await context.workspace.open();
  if (!workspace.ok) return workspace;
  const project = await ReservedFiles.open(await context.runtime(), workspace.value, folder);
  if (!project.ok) return project;
  const resources = project.value.toResources(paths.map((path) => resolve(folder, path)));
  if (!resources.ok) return resources;
  const self = await workspace.value.self();
  return self.ok ? body({ project: project.value, resources: resources.value, self: self.value }) : self;
}
