// The live views of a page. An adapter calls `show` with every message of a feed; it knows what the
// page around is made of, this does not.

import { LiveView } from "./live_view.js";
import { Received } from "./received.js";

/** @type {Map<string, {received: Received, views: Map<string, LiveView>}>} by feed */
const feeds = new Map();

/**
 * Show in an element what a feed has to say.
 *
 * A view is known by its feed and its place: shown in another element, it moves there as it is. A
 * second place makes a second view of the same feed; each has to be called with every message.
 *
 * @param {object} told
 * @param {any} told.data a message of a feed (feed.py)
 * @param {HTMLElement | ShadowRoot} told.element where to stand
 * @param {string} [told.place] which of several views of this feed it is
 * @param {(name: string, value: unknown) => void} told.tell hears what is asked here: everything
 *   anew (`resend`), matrices of steps (`wanted`), what was clicked (`chosen`)
 * @param {(path: string) => string | Promise<string>} [told.address] where a file of the page lies
 */
export function show({ data, element, tell, place = "", address = (path) => path }) {
  if (!feeds.has(data.feed)) feeds.set(data.feed, { received: new Received(), views: new Map() });
  const { received, views } = feeds.get(data.feed);
  received.tell = tell;
  if (!views.has(place)) {
    disposeOfLost(data.feed);
    views.set(place, new LiveView(received));
  }
  const view = views.get(place);
  Object.assign(view, { tell, address });
  view.mount(element);
  const news = received.take(data);
  for (const each of views.values()) each.hear(news);
  view.refresh();
}

/** Views whose place has left the page are kept until another view comes. */
function disposeOfLost(kept) {
  for (const [feed, { received, views }] of feeds) {
    for (const [place, view] of views)
      if (!view.root.isConnected) {
        view.dispose();
        views.delete(place);
      }
    if (views.size || feed === kept) continue;
    received.dispose();
    feeds.delete(feed);
  }
}
