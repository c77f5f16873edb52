import type { Env } from "./env.ts";
import { app } from "./app.ts";
import { consume } from "./queues.ts";

export { ChatCoordinator } from "../durable/chat-coordinator.ts";
export { HandoverBox } from "../durable/handover-box.ts";
export { PhoneBox } from "../durable/phone-box.ts";
export { RestoreMarks } from "../durable/restore-marks.ts";
export default { fetch: app.fetch, queue: consume } satisfies ExportedHandler<Env>;
