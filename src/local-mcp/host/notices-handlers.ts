import type { Runtime } from "../../runtime/runtime.ts";
import { ok } from "../../shared/result.ts";
import * as notices from "../../store/notices.ts";
import type { Handlers } from "./handlers.ts";

export const noticeHandlers: Handlers<"notices.list" | "notices.acknowledge"> = {
  async "notices.list"({ runtime }) {
    const { store } = await runtime();
    return ok({ notices: store.read(notices.list, []) });
  },
  async "notices.acknowledge"({ runtime }) {
    return ok({ acknowledged: acknowledgeNotices(await runtime()) });
  },
};

/** @returns those that were open */
export function acknowledgeNotices({ store, now }: Runtime): notices.Notice[] {
  const open = store.read(notices.list, []);
  if (open.length > 0) store.write((sql) => notices.acknowledge(sql, now(), null));
  return open;
}
