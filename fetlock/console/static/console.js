// What must work whatever else of the page does: STOP, its key, the operator's heartbeat, and a warning when the display stands still.
"use strict";
(() => {
  const told = JSON.parse(document.getElementById("fetlock-told").textContent);
  const button = document.getElementById("stop");
  const said = document.getElementById("stop-said");
  const operator = document.getElementById("operator");
  const stale = document.getElementById("stale");

  // The display is drawn ten times a second: older than this, it is no present.
  const STALE_MS = 1500;
  // A press is answered in some milliseconds, or when the console has waited 2 s for a motion process that arms; after that none will come.
  const ANSWER_MS = 3000;
  // pointerdown and the click that follows it are one press.
  const ONE_PRESS_MS = 500;

  const post = async (url, body) => {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body), keepalive: true, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const words = await answer.json();
    if (!answer.ok) throw new Error(words.line);
    return words;
  };

  const say = (text, style) => {
    said.textContent = text;
    said.className = style;
  };

  // Both ways at once: the door has threads of its own, the page's own address is there when only one port is forwarded.
  let pressed = -Infinity;
  const stop = async () => {
    if (performance.now() - pressed < ONE_PRESS_MS) return;
    pressed = performance.now();
    button.classList.add("pressed");
    setTimeout(() => button.classList.remove("pressed"), ONE_PRESS_MS);
    say("STOP sent …", "");
    const body = { token: told.token };
    try {
      const words = await Promise.any([post(`${told.door}/stop`, body), post("/stop", body)]);
      const took = Math.round(performance.now() - pressed);
      say(words.done ? `Stopped, confirmed after ${took} ms.` : `NOT CONFIRMED: ${words.line}`, words.done ? "good" : "bad");
    } catch {
      say("STOP DID NOT ARRIVE: use ./run stop, or the power switch.", "bad");
    }
  };
  button.addEventListener("pointerdown", stop);
  button.addEventListener("click", stop);
  const isSpace = (event) => event.code === "Space" || event.key === " ";
  window.addEventListener("keydown", (event) => {
    if (!isSpace(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) stop();
  }, true);
  // A button that has the focus would take the key's end for a click.
  window.addEventListener("keyup", (event) => {
    if (!isSpace(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  let news = performance.now();
  let connected = false;
  window.fetlockNews = () => {
    news = performance.now();
    connected = true;
  };

  let touched = performance.now();
  for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"]) {
    window.addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
  }
  const absent = () => {
    if (document.hidden) return "the page is hidden";
    const left_s = told.present_s - (performance.now() - touched) / 1000;
    return left_s > 0 ? "" : "touch anything to be present again";
  };

  // The door first; the page's own address where only its port is forwarded.
  const answer = async (body) => {
    try {
      return await post(`${told.door}/beat`, body);
    } catch {
      return await post("/beat", body);
    }
  };
  // The answer to a challenge is its complement: proof that it was read.
  let challenge = -1;
  let beating = false;
  const beat = async () => {
    if (beating || absent()) return;
    beating = true;
    try {
      // Another page of this console may have answered it in between: then there is another challenge.
      for (let right = false, tries = 0; !right && tries < 2; tries++) {
        const said = challenge < 0 ? -1 : (challenge ^ 0xffffffff) >>> 0;
        ({ right, challenge } = await answer({ token: told.token, answer: said }));
        if (right) heard = performance.now();
      }
    } catch {
      challenge = -1;
    } finally {
      beating = false;
    }
  };
  let heard = -Infinity;
  const showOperator = () => {
    if (told.heartbeat_s === null) {
      operator.textContent = "Operator's heartbeat: not asked for.";
      operator.className = "";
      return;
    }
    const why = absent();
    const lost = performance.now() - heard > 1000 * told.heartbeat_s;
    const left_s = Math.ceil(told.present_s - (performance.now() - touched) / 1000);
    operator.className = why || lost ? "bad" : "good";
    operator.textContent = why ? `Operator absent: ${why}. The robots hold.`
      : lost ? "Operator's heartbeat does not arrive. The robots hold."
      : `Operator present: counts for ${left_s} s without a touch.`;
  };
  if (told.heartbeat_s !== null) {
    beat();
    // Four times in the time-out; a check-in is due in every third.
    setInterval(beat, 250 * told.heartbeat_s);
  }

  // The camera's newest picture, one after the other; its frame is there as soon as the page is drawn.
  const PICTURE_MS = 200, NO_PICTURE_MS = 1000;
  const picture = async () => {
    let next_ms = NO_PICTURE_MS;
    const frame = document.getElementById("picture");
    if (frame && !document.hidden) {
      let words = "";
      try {
        const answer = await fetch("/camera.jpg", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
        if (answer.ok) {
          const before = frame.src;
          frame.src = URL.createObjectURL(await answer.blob());
          if (before) URL.revokeObjectURL(before);
          next_ms = PICTURE_MS;
        } else words = await answer.text();
      } catch {
        words = "The console sends no picture.";
      }
      frame.nextElementSibling.textContent = words;
      frame.hidden = words !== "";
    }
    setTimeout(picture, next_ms);
  };
  picture();

  setInterval(() => {
    showOperator();
    const still_ms = performance.now() - news;
    const old = still_ms > STALE_MS && !document.hidden;
    stale.hidden = !old;
    document.body.classList.toggle("stale", old);
    if (old) {
      const what = connected ? `no news for ${Math.round(still_ms / 1000)} s` : "not connected yet";
      stale.textContent = `THE DISPLAY STANDS STILL: ${what}. STOP may still work; if in doubt: ./run stop, or the power switch.`;
    }
  }, 250);
  showOperator();
})();
