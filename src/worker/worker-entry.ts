import { app } from "./app.ts";

export { ChatCoordinator } from "../durable/chat-coordinator.ts";
export default app;
