import { resolve } from "node:path";
import type { ReservedFile } from "../../contract/machine/reservations.ts";
import { err, ok } from "../../shared/result.ts";
import { formatResource } from "../team/lease-paths.ts";
import type { Reservation } from "../team/reservation-table.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { toLeasePaths, type ProjectReservations } from "./project-reservations.ts";

export const reservationHandlers: Handlers<"reservations.list" | "reservations.create" | "reservations.release"> = {
  async "reservations.list"(context, { folder }) {
    const workspace = await context.workspace.open();
    if (!workspace.ok) return workspace;
    const opened = await workspace.value.reservations(folder, null);
    if (!opened.ok) return opened;
    const { root, project, files, toHostError } = opened.value;
    const found = await files.list(project);
    return found.ok ? ok({ project: root, files: await view(context, found.value) }) : err(toHostError(found.error));
  },
  "reservations.create": (context, { folder, paths, forMs }) =>
    withPaths(context, folder, paths, async ({ project, files, toHostError }, leasePaths) => {
      const reserved = await files.reserve(project, leasePaths, forMs);
      if (!reserved.ok) return err(toHostError(reserved.error));
      return ok({ forMs, files: await view(context, reserved.value) });
    }),
  "reservations.release": (context, { folder, paths }) =>
    withPaths(context, folder, paths, async ({ project, files, toHostError }, leasePaths) => {
      const reserved = await files.listOwn(project);
      if (!reserved.ok) return err(toHostError(reserved.error));
      const paths = reserved.value.map(({ resource }) => formatResource(resource));
      const chosen = leasePaths.length === 0 ? paths : paths.filter((path) => leasePaths.includes(path));
      if (chosen.length === 0) {
        const message = "the command line has reserved none of these here; `shim team files list` shows who has.";
        return err({ code: "not_found", message });
      }
      const released = await files.release(project, chosen);
      return released.ok ? ok({ released: chosen }) : err(toHostError(released.error));
    }),
};

async function view(context: HandlerContext, found: readonly Reservation[]): Promise<ReservedFile[]> {
  const now = (await context.runtime()).now();
  return found.map(({ resource, holder, holderName, machine, since }) => ({
    path: formatResource(resource),
    chat: holder,
    name: holderName || null,
    machine: machine || null,
    heldForMs: now - since,
    resource,
  }));
}

async function withPaths<T>(
  context: HandlerContext,
  folder: string,
  given: readonly string[],
  body: (reservations: ProjectReservations, leasePaths: readonly string[]) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  const workspace = await context.workspace.open();
  if (!workspace.ok) return workspace;
  const leasePaths = toLeasePaths(
    folder,
    given.map((path) => resolve(folder, path)),
  );
  if (!leasePaths.ok) return leasePaths;
  const opened = await workspace.value.reservations(folder, () => workspace.value.self());
  return opened.ok ? body(opened.value, leasePaths.value) : opened;
}
