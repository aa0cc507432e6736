// Forms that make something.
import { useState } from "./html.js";
import { wordsOf } from "./dialogs.js";

/**
 * Send a form once it is submitted.
 *
 * `send` is given the form's fields, and returns a promise of what it has made.  `submit` belongs to the form; `made` is null until
 * then, `problem` says why there is none, and `busy` whether an answer is awaited.
 */
export function useSubmit(send) {
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    setProblem("");
    try {
      setMade(await send(form));
    } catch (failure) {
      setProblem(wordsOf(failure));
    }
    setBusy(false);
  };
  return { made, problem, busy, submit };
}
