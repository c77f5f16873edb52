import * as messages from "./messages.ts";
import { chatErrors, type Operation } from "./operation.ts";

export const messageOperations = {
  "messages.send": {
    method: "POST",
    path: "/messages",
    scope: "work",
    ...messages.SendMessage,
    errors: [...chatErrors, "quota_exceeded", "schema_mismatch", "key_reused"],
    summary: "Sends to a chat, a topic or all. It is kept until each receiver has acknowledged it or its time is over.",
  },
  "messages.subscribe": {
    method: "POST",
    path: "/messages/subscribe",
    scope: "work",
    ...messages.Subscribe,
    errors: [...chatErrors, "quota_exceeded"],
    summary: "From now on what is sent to topics of a pattern is for this chat, too.",
  },
  "messages.unsubscribe": {
    method: "POST",
    path: "/messages/unsubscribe",
    scope: "work",
    ...messages.Subscribe,
    errors: chatErrors,
    summary: "Ends a subscription.",
  },
  "messages.pull": {
    method: "POST",
    path: "/messages/pull",
    scope: "work",
    ...messages.PullMessages,
    errors: chatErrors,
    summary: "What is unread, higher priorities first.",
  },
  "messages.ack": {
    method: "POST",
    path: "/messages/ack",
    scope: "work",
    ...messages.AckMessages,
    errors: chatErrors,
    summary: "Acknowledges messages: they do not come again.",
  },
  "messages.set-topic-schema": {
    method: "PUT",
    path: "/messages/topic-schema",
    scope: "admin",
    ...messages.SetTopicSchema,
    errors: ["quota_exceeded"],
    summary: "What bodies of a topic must look like.",
  },
  "messages.list-topic-schemas": {
    method: "GET",
    path: "/messages/topic-schemas",
    scope: "observe",
    ...messages.ListTopicSchemas,
    errors: [],
    summary: "Topics whose bodies must look like something.",
  },
} as const satisfies Record<string, Operation>;
