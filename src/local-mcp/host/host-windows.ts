import { detailsOf } from "../../clients/details.ts";
import { OpenWindows } from "../../runtime/open-windows.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { watchStop } from "../events/watch-wait.ts";

/** Reaches the clients of open windows from the host. @param runtime is asked when that happens */
export function hostWindows(runtime: () => Runtime): OpenWindows {
  return new OpenWindows(async ({ client, session, transcript }, act) => {
    const isTaken = transcript !== null && (await detailsOf(client)?.actAtServer?.(session, transcript, act)) === true;
    if (isTaken && "stop" in act) watchStop(runtime(), session);
    return isTaken;
  });
}
