/* Decides by the network of a version, and holds it to the golden cases: README.md says how to
 * compile it. Run it in the folder of the package. */
#include <stdio.h>
#include <stdlib.h>

#include <onnxruntime_c_api.h>

#include "policy.h"

static const OrtApi *api;

/* Ends the program where ONNX Runtime has something to complain of. */
static void check(OrtStatus *status)
{
    if (status == NULL)
        return;
    fprintf(stderr, "ONNX Runtime: %s\n", api->GetErrorMessage(status));
    api->ReleaseStatus(status);
    exit(1);
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *taken(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (memory == NULL)
        fail("There is not enough memory.");
    return memory;
}

static OrtSession *load(OrtEnv **environment)
{
    OrtSessionOptions *options;
    OrtSession *session;
    check(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "policy", environment));
    check(api->CreateSessionOptions(&options));
    check(api->SetIntraOpNumThreads(options, 1));
    check(api->CreateSession(*environment, ORT_TSTR(POLICY_NETWORK), options, &session));
    api->ReleaseSessionOptions(options);
    return session;
}

/* Runs the network on POLICY_FEATURES features; gives POLICY_OUTPUTS numbers. */
static void run(OrtSession *session, policy_input *features, policy_output *outputs)
{
    const char *input_names[] = { POLICY_INPUT }, *output_names[] = { POLICY_OUTPUT };
    const OrtValue *inputs[1];
    OrtMemoryInfo *memory;
    OrtValue *input, *output = NULL;
    OrtTensorTypeAndShapeInfo *shape;
    size_t count, bytes = POLICY_FEATURES * sizeof(policy_input);
    void *given;
    check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    check(api->CreateTensorWithDataAsOrtValue(memory, features, bytes, policy_shape, POLICY_RANK,
                                              POLICY_INPUT_TYPE, &input));
    inputs[0] = input;
    check(api->Run(session, NULL, input_names, inputs, 1, output_names, 1, &output));
    check(api->GetTensorTypeAndShape(output, &shape));
    check(api->GetTensorShapeElementCount(shape, &count));
    if (count != POLICY_OUTPUTS)
        fail("The network is another one than policy.h was made for.");
    check(api->GetTensorMutableData(output, &given));
    for (size_t i = 0; i < POLICY_OUTPUTS; i++)
        outputs[i] = ((const policy_output *)given)[i];
    api->ReleaseTensorTypeAndShapeInfo(shape);
    api->ReleaseValue(output);
    api->ReleaseValue(input);
    api->ReleaseMemoryInfo(memory);
}

static double number_in(FILE *file)
{
    double number;
    if (fscanf(file, "%lf", &number) != 1)
        fail("golden.txt is cut.");
    return number;
}

static void print_action(size_t number, const double *action)
{
    printf("case %lu:", (unsigned long)number);
    for (size_t i = 0; i < POLICY_ACTIONS; i++) {
        const char *meaning = policy_meaning(i, action[i]);
        printf(" %s = %.9g", policy_action[i].name, policy_value(i, action[i]));
        if (meaning != NULL)
            printf(" (%s)", meaning);
    }
    printf("\n");
}

/* Asks one golden case; returns how many numbers are not as they should be. */
static size_t ask(OrtSession *session, FILE *file, size_t number)
{
    double *numbers = taken(POLICY_FEATURES, sizeof(double));
    policy_input *features = taken(POLICY_FEATURES, sizeof(policy_input));
    policy_output outputs[POLICY_OUTPUTS];
    double action[POLICY_ACTIONS];
    size_t wrong = 0;
    for (size_t i = 0; i < POLICY_FEATURES; i++)
        numbers[i] = number_in(file);
    policy_features(numbers, features);
    run(session, features, outputs);
    if (policy_decide(outputs, action) != 0)
        fail("No action follows from what the network gave.");
    for (size_t i = 0; i < POLICY_OUTPUTS; i++)
        wrong += !policy_close(number_in(file), (double)outputs[i]);
    for (size_t i = 0; i < POLICY_ACTIONS; i++)
        wrong += !policy_agrees(i, outputs, number_in(file), action[i]);
    print_action(number, action);
    free(features);
    free(numbers);
    return wrong;
}

int main(void)
{
    OrtEnv *environment;
    OrtSession *session;
    size_t cases, wrong = 0;
    FILE *file = fopen("golden.txt", "r");
    api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (api == NULL)
        fail("The library of ONNX Runtime is older than its header.");
    if (file == NULL)
        fail("There is no golden.txt: run this in the folder of the package.");
    session = load(&environment);
    cases = (size_t)number_in(file);
    if (number_in(file) != POLICY_FEATURES || number_in(file) != POLICY_OUTPUTS ||
        number_in(file) != POLICY_ACTIONS)
        fail("golden.txt is of another version than policy.h.");
    for (size_t number = 0; number < cases; number++)
        wrong += ask(session, file, number) != 0;
    fclose(file);
    api->ReleaseSession(session);
    api->ReleaseEnv(environment);
    printf("version %s: %lu of %lu golden cases agree\n", POLICY_VERSION,
           (unsigned long)(cases - wrong), (unsigned long)cases);
    return wrong == 0 ? 0 : 1;
}
