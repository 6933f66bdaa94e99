// One line to the server for all open pages of a user: browsers allow a server only a few.
"use strict";

const pages = new Set();
let latest;

// Each event says how far the log has come; after a line that was cut, the first one does.
const events = new EventSource("/live");
events.addEventListener("changed", (event) => {
  latest = Number(event.data);
  for (const page of pages) page.postMessage(latest);
});

onconnect = (event) => {
  pages.add(event.ports[0]);
  if (latest !== undefined) event.ports[0].postMessage(latest);
};
