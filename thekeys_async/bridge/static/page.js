"use strict";
// The server writes the HTML; this only puts the newest of it in its place.
const live = document.getElementById("live");
const source = new EventSource("events");
live.hidden = false;
source.onopen = () => { live.textContent = "live"; live.className = ""; };
source.onerror = () => { live.textContent = "not live: the bridge can't be reached"; live.className = "off"; };
source.onmessage = (event) => { document.getElementById("doors").innerHTML = JSON.parse(event.data); };
