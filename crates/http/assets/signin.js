// Passkeys: the only part of the sign-in pages that needs JavaScript. A form marked `data-passkey` asks the server for a
// challenge, has the browser answer it, and is then sent like any other form. Nothing here builds markup.
"use strict";

const toBytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// WebAuthn level 3 §5.1.8 and §5.1.9, by hand: browsers before 2025 lack `parseCreationOptionsFromJSON` and its like.
const withBytes = (list) => (list || []).map((entry) => ({ ...entry, id: toBytes(entry.id) }));
const parsed = (options, kind) => {
  const key = { ...options.publicKey, challenge: toBytes(options.publicKey.challenge) };
  if (kind === "create") {
    key.user = { ...key.user, id: toBytes(key.user.id) };
    key.excludeCredentials = withBytes(key.excludeCredentials);
  } else {
    key.allowCredentials = withBytes(key.allowCredentials);
  }
  return { publicKey: key };
};
const serialized = (made) => {
  const response = { clientDataJSON: toText(made.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (made.response[part]) response[part] = toText(made.response[part]);
  }
  if (made.response.getTransports) response.transports = made.response.getTransports();
  return {
    id: made.id,
    rawId: toText(made.rawId),
    type: made.type,
    response,
    extensions: made.getClientExtensionResults(),
  };
};

// One request to the authenticator at a time: asking by the button ends what waits behind the user name.
let asking = null;

async function answer(form, mediation) {
  if (asking) asking.abort();
  const stop = new AbortController();
  asking = stop;
  const field = (name) => form.elements.namedItem(name);
  const begun = await fetch(form.dataset.begin, {
    method: "POST",
    credentials: "same-origin",
    signal: stop.signal,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ form: field("form").value }),
  }).catch(() => null);
  if (!begun) throw new Error(form.dataset.unreachable);
  const challenge = await begun.json().catch(() => ({}));
  // A session that has ended: the sign-in begins anew, on a page that says so.
  if (challenge.location) return location.assign(challenge.location);
  if (!begun.ok) throw new Error(challenge.problem || form.dataset.unreachable);
  const kind = form.dataset.passkey;
  const request = { ...parsed(challenge.options, kind), signal: stop.signal };
  if (mediation) request.mediation = mediation;
  let made;
  try {
    made = await navigator.credentials[kind](request);
  } catch {
    throw new Error(form.dataset.failed);
  }
  field("ticket").value = challenge.ticket;
  field("credential").value = JSON.stringify(serialized(made));
  form.submit();
}

// Passkeys belong to a name; an address of numbers has none.
const canHave = Boolean(window.PublicKeyCredential) && !/^[\d.]+$|^\[/.test(location.hostname);

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!canHave) break;
  form.hidden = false;
  const state = form.querySelector("[role=status]");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    state.classList.remove("problem");
    state.textContent = form.dataset.waiting;
    answer(form).catch((fault) => {
      state.classList.add("problem");
      state.textContent = fault.message;
    });
  });
  // Passkeys among the suggestions for the user name, once somebody is about to type it. It may fail in silence.
  const name = document.getElementById(form.dataset.conditional || "");
  const offer = async () => {
    const can = PublicKeyCredential.isConditionalMediationAvailable;
    if (can && (await can.call(PublicKeyCredential))) await answer(form, "conditional").catch(() => {});
  };
  if (name && document.activeElement === name) offer();
  else if (name) name.addEventListener("focus", offer, { once: true });
}
