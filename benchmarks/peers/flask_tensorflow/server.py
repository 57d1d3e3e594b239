# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""The classic design: Flask calls the signature of the SavedModel."""

import tensorflow as tf
from decisions import FOLDER, Actions, Observation
from flask import Flask, Response, request
from pydantic import ValidationError

app = Flask(__name__)
model = tf.saved_model.load(str(FOLDER / "saved_model"))
signature = model.signatures["serving_default"]
_, specifications = signature.structured_input_signature
rest = {
    name: tf.zeros([1] * len(specification.shape), specification.dtype)
    for name, specification in specifications.items()
    if name != "observations"
}
actions = Actions()


@app.errorhandler(ValidationError)
def refuse(error: ValidationError) -> Response:
    """Say what is wrong with an observation."""
    return Response(error.json(), 422, mimetype="application/json")


@app.post("/predict")
def predict() -> Response:
    """Draw an action."""
    observation = Observation.model_validate_json(request.get_data())
    features = tf.constant(actions.features(observation))
    outputs = signature(observations=features, **rest)
    decision = actions.draw(outputs["action_dist_inputs"].numpy()[0].tolist())
    return Response(decision.model_dump_json(), mimetype="application/json")
